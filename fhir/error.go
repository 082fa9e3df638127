package fhir

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Severities of an issue (http://hl7.org/fhir/issue-severity).
const (
	SeverityFatal       = "fatal"
	SeverityError       = "error"
	SeverityWarning     = "warning"
	SeverityInformation = "information"
)

// Codes of an issue (http://hl7.org/fhir/issue-type).
const (
	CodeInvalid       = "invalid"
	CodeStructure     = "structure"
	CodeRequired      = "required"
	CodeValue         = "value"
	CodeInvariant     = "invariant"
	CodeSecurity      = "security"
	CodeLogin         = "login"
	CodeUnknown       = "unknown"
	CodeExpired       = "expired"
	CodeForbidden     = "forbidden"
	CodeProcessing    = "processing"
	CodeNotSupported  = "not-supported"
	CodeDuplicate     = "duplicate"
	CodeMultiple      = "multiple-matches"
	CodeNotFound      = "not-found"
	CodeDeleted       = "deleted"
	CodeTooLong       = "too-long"
	CodeCodeInvalid   = "code-invalid"
	CodeExtension     = "extension"
	CodeTooCostly     = "too-costly"
	CodeBusinessRule  = "business-rule"
	CodeConflict      = "conflict"
	CodeTransient     = "transient"
	CodeLockError     = "lock-error"
	CodeTimeout       = "timeout"
	CodeThrottled     = "throttled"
	CodeException     = "exception"
	CodeInformational = "informational"
)

// Issue is one OperationOutcome.issue. Line and Col (from 1) are positions in
// the client's own bytes, 0 if unknown; they are written as the standard
// extensions operationoutcome-issue-line and -col.
type Issue struct {
	Severity    string
	Code        string
	Diagnostics string
	Details     string   // CodeableConcept.text, "" for none
	DetailsCode string   // a code for Details, "" for none
	DetailsSys  string   // its system
	Expression  []string // FHIRPath of the elements at fault
	Source      string   // the rule behind it: a constraint's key or a profile's canonical URL (operationoutcome-issue-source)
	Line, Col   int
}

// Error is a fault that the client can mend or must be told of. It knows its
// HTTP status and is written as an OperationOutcome. Anything else that goes
// wrong is an ordinary wrapped error and reaches the client as 500 without
// details.
type Error struct {
	Status     int
	Issues     []Issue
	RetryAfter int      // seconds, 0 for no Retry-After header
	Allow      []string // methods of a 405
	Cause      error    // for the log only
}

// Errorf makes an Error with one issue of severity error.
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Issues: []Issue{{Severity: SeverityError, Code: code, Diagnostics: fmt.Sprintf(format, args...)}}}
}

// At adds the FHIRPath of the element at fault to the first issue.
func (e *Error) At(expression ...string) *Error {
	e.Issues[0].Expression = append(e.Issues[0].Expression, expression...)
	return e
}

// AtNode adds the position of a node to the first issue.
func (e *Error) AtNode(n Node) *Error {
	e.Issues[0].Line, e.Issues[0].Col = n.LineCol()
	return e
}

// Because keeps the error underneath, for the log.
func (e *Error) Because(err error) *Error {
	e.Cause = err
	return e
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", e.Status)
	for _, i := range e.Issues {
		b.WriteString("; ")
		b.WriteString(i.Code)
		b.WriteString(": ")
		b.WriteString(i.Diagnostics)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Cause }

// AsError returns the *Error in err's chain, or nil.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

const (
	extLine   = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line"
	extCol    = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col"
	extSource = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-source"
)

// AppendOutcome appends the OperationOutcome resource of the issues as JSON to
// dst. It is the one place that writes OperationOutcomes. requestID, if not
// empty, becomes the resource's id.
func AppendOutcome(dst []byte, issues []Issue, requestID string) []byte {
	dst = append(dst, `{"resourceType":"OperationOutcome"`...)
	if requestID != "" {
		dst = append(dst, `,"id":`...)
		dst = AppendString(dst, requestID)
	}
	dst = append(dst, `,"issue":[`...)
	for i := range issues {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendIssue(dst, &issues[i])
	}
	return append(dst, `]}`...)
}

func appendIssue(dst []byte, is *Issue) []byte {
	dst = append(dst, '{')
	if is.Line > 0 || is.Source != "" {
		dst = append(dst, `"extension":[`...)
		sep := ""
		if is.Source != "" {
			dst = append(dst, `{"url":"`+extSource+`","valueString":`...)
			dst = AppendString(dst, is.Source)
			dst = append(dst, '}')
			sep = ","
		}
		if is.Line > 0 {
			dst = append(dst, sep+`{"url":"`+extLine+`","valueInteger":`...)
			dst = strconv.AppendInt(dst, int64(is.Line), 10)
			dst = append(dst, `},{"url":"`+extCol+`","valueInteger":`...)
			dst = strconv.AppendInt(dst, int64(is.Col), 10)
			dst = append(dst, '}')
		}
		dst = append(dst, `],`...)
	}
	dst = append(dst, `"severity":`...)
	dst = AppendString(dst, is.Severity)
	dst = append(dst, `,"code":`...)
	dst = AppendString(dst, is.Code)
	if is.Details != "" || is.DetailsCode != "" {
		dst = append(dst, `,"details":{`...)
		if is.DetailsCode != "" {
			dst = append(dst, `"coding":[{"system":`...)
			dst = AppendString(dst, is.DetailsSys)
			dst = append(dst, `,"code":`...)
			dst = AppendString(dst, is.DetailsCode)
			dst = append(dst, `}]`...)
			if is.Details != "" {
				dst = append(dst, ',')
			}
		}
		if is.Details != "" {
			dst = append(dst, `"text":`...)
			dst = AppendString(dst, is.Details)
		}
		dst = append(dst, '}')
	}
	if is.Diagnostics != "" {
		dst = append(dst, `,"diagnostics":`...)
		dst = AppendString(dst, is.Diagnostics)
	}
	if len(is.Expression) > 0 {
		dst = append(dst, `,"expression":[`...)
		for i, x := range is.Expression {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendString(dst, x)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte {
	out, err := jsontext.AppendQuote(dst, s)
	if err != nil { // invalid UTF-8: AppendQuote has written U+FFFD in its place
		out, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return out
}
