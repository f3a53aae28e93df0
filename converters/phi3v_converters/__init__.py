"""The built-in converters, one file per dataset, found by entry point as anyone's are."""
