"""Many runs over a grid of parameters: which, on whom, and what is kept of them."""
