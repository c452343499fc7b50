"""The chaos drill: faults at random under load, and a history that is checked afterwards."""
