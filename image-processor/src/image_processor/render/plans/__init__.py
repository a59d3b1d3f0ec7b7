"""Plans of renders, which URLs of every dialect become."""
