"""The stages of a study, one module each: what a stage rests on, what it writes, and when it must run again."""
