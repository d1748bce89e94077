"""What the command line says: tables and sentences, as plain text."""
