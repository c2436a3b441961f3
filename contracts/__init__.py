"""The words that every process of Millstream shares: no infrastructure is imported here."""
