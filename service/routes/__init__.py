"""The routes: each takes typed input, makes one call, and gives one response.

A route is declared above its function (`declaration`), and nowhere else. A new resource is a module, and its name in
`registry`.
"""
