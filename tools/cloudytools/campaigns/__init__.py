"""What a promise is worth when it is tried a thousand times: campaigns against the project."""
