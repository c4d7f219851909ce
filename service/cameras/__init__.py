"""Which cameras may be reached: rules for their URLs and addresses."""
