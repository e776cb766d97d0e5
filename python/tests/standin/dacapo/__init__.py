"""A stand-in of DaCapo's store classes, written from observed facts about them. For tests."""
