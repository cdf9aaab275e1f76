"""What a person reads of a job: its progress, and where its time went."""
