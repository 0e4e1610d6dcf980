"""`python -m sprat_cli` is `sprat`, for installations whose scripts are not on the PATH."""

from sprat_cli.entry import main

if __name__ == "__main__":
    main()
