"""The search for the smallest model that still reads well."""
