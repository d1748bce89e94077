"""What is wrong with stored data: checks, and the catalogue of known defects."""
