// Package deploy holds what runs Ingle elsewhere: the container image (Dockerfile) and, at the root of the repository,
// docker-compose.yml. Its tests check both without a Docker engine.
package deploy
