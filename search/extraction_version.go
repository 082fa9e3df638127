package search

// ExtractionVersion counts the changes of what IndexRows takes out of a
// resource. A database whose index was made by another version is indexed anew
// when a server starts on it. TestExtractionVersion tells when to count on.
const ExtractionVersion = 4
