"""``python -m isolux``."""

from isolux.cli import main

if __name__ == "__main__":
    main()
