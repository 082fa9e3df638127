# syntax=docker/dockerfile:1
# Gen3's Arborist, built from its module, with its own migrations. The version is the one that Ingle is tested with.
FROM golang:1.26-alpine AS build
ARG ARBORIST=v0.0.0-20260918161051-85ce58de9efe
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOBIN=/out go install github.com/uc-cdis/arborist@${ARBORIST} && \
    cp -r "$(go env GOMODCACHE)/github.com/uc-cdis/arborist@${ARBORIST}/migrations" /out/migrations && \
    chmod -R u+rwX,go+rX /out

FROM alpine:3.22
RUN apk add --no-cache bash postgresql17-client
COPY --from=build /out /arborist
WORKDIR /arborist
USER nobody
# PGHOST, PGDATABASE, PGUSER, PGPASSWORD and PGSSLMODE say where its database is.
CMD ["bash", "-c", "bash migrations/latest && exec ./arborist --port 8080"]
