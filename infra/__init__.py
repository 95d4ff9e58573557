"""Infrastructure files that travel with Fleet. `infra/README.md` says what each is for."""
