"""What others do, small and as their documentation advises, run beside ours in the same run."""
