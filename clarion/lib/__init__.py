"""Tools that know neither Django nor what Clarion is about."""
