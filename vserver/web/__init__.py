"""The skin all resources share: errors, log-in, pages, links, held requests, the API description."""
