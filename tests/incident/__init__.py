"""The pure heart: tables for each rule of the model, stories, and properties."""
