// Package server is the only room that knows HTTP. It turns a request into an
// interaction.Request and an interaction.Response into an answer: content
// negotiation, bodies and their limits, compression, addresses behind proxies,
// request ids, metrics and the access log.
//
// The order of a request: id and panic guard, metrics and log, addresses,
// credentials, route (interaction.Service.Resolve), negotiation, body, the
// interaction, the answer. Echo carries the routes outside the FHIR base and
// the listener's life; no other file than echo.go knows it.
package server
