"""What `clarion doctor` asks, one file for each thing that can be unwell. Each check gives remarks and makes nothing."""
