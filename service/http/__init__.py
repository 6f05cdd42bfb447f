"""HTTP without tables: responses, problem documents, request bodies, conditional requests, byte ranges, request IDs."""
