package fhirpath

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"ingle/fhir"
)

// Env is what an expression can see besides its focus. The zero Env is usable.
// An Env is only read during evaluation; its functions must be safe for
// concurrent use if the Env is shared.
type Env struct {
	// Resource is %resource: the resource that holds the focus (a contained
	// resource, if the focus is in one). Without it the focus is taken, if it is
	// a resource, else the resource at the top of its document.
	Resource Value
	// RootResource is %rootResource: the container of %resource, or the same.
	RootResource Value
	// Variables are further %names, without the percent sign.
	Variables map[string]Collection
	// Now is the time of now(), today() and timeOfDay(); the zero time is the
	// time of the call. All calls in one evaluation see the same.
	Now time.Time
	// Limits bound the evaluation.
	Limits Limits

	// Resolve finds the resource that a reference names: a literal reference
	// that is neither a fragment in %rootResource nor an entry of a Bundle
	// there. The zero Node means that it is not known. nil: resolve() finds
	// only contained resources and entries of the Bundle around the focus.
	Resolve func(ctx context.Context, reference string) (fhir.Node, error)
	// MemberOf tells whether a code, Coding or CodeableConcept is in a value
	// set; known is false where that cannot be told. nil: memberOf() is empty.
	MemberOf func(ctx context.Context, coded Value, valueSet string) (in, known bool, err error)
	// Subsumes tells whether coding a subsumes coding b. nil: subsumes() and
	// subsumedBy() are empty, unless the codings are the same.
	Subsumes func(ctx context.Context, a, b Value) (subsumes, known bool, err error)
	// ConformsTo tells whether a resource or element conforms to a profile;
	// an error says that the profile is not known. nil: only the profiles of
	// the base types are known.
	ConformsTo func(ctx context.Context, v Value, profile string) (bool, error)
	// ElementDefinition finds the ElementDefinition of an element, the zero Node
	// where there is none. nil: elementDefinition() is empty.
	ElementDefinition func(ctx context.Context, v Value) (fhir.Node, error)
	// Slice finds what is in a slice of a profile: the element itself, or of its
	// children those that are; an error says that there is no such profile or
	// slice. nil: none is known.
	Slice func(ctx context.Context, v Value, structure, name string) (Collection, error)
	// Trace receives what trace() is given. nil: nothing is kept.
	Trace func(name string, values Collection)
}

// Limits bound one evaluation. A zero field means its default.
type Limits struct {
	Steps  int // operations and values produced; default 10,000,000
	Values int // values in one collection; default 1,000,000
	Text   int // bytes of one computed string; default 4 MiB
}

const (
	defaultSteps  = 10_000_000
	defaultValues = 1_000_000
	defaultText   = 4 << 20
	checkEvery    = 4096 // steps between looks at the context
)

// ErrLimit is the error underneath when an evaluation exceeds its Limits.
var ErrLimit = errors.New("the evaluation takes more than its limits allow")

// evaluation is the state of one Eval. Scratch collections and frames are
// reused within it, and the whole is reused by later evaluations.
type evaluation struct {
	expr    *Expr
	ctx     context.Context
	env     *Env
	focus   []Value
	left    int // steps
	check   int // the value of left at which the context is looked at
	now     time.Time
	free    [][]Value
	frames  []*frame
	root    frame
	first   [1]Value
	values  int
	maxText int
	depth   int
}

// frame is what $this, $index, $total and the variables of defineVariable mean
// at a place in the expression.
type frame struct {
	this  []Value
	index int
	total []Value
	// inLoop and inTotal tell whether $index and $total have a meaning.
	inLoop, inTotal bool
	vars            *variable
}

type variable struct {
	name   string
	values []Value
	next   *variable
}

var evaluations = sync.Pool{New: func() any { return new(evaluation) }}

func (e *Expr) begin(ctx context.Context, env *Env, focus Value) *evaluation {
	if env == nil {
		env = new(Env)
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ev := evaluations.Get().(*evaluation)
	ev.expr, ev.ctx, ev.env = e, ctx, env
	ev.left = env.Limits.Steps
	if ev.left <= 0 {
		ev.left = defaultSteps
	}
	ev.values, ev.maxText = env.Limits.Values, env.Limits.Text
	if ev.values <= 0 {
		ev.values = defaultValues
	}
	if ev.maxText <= 0 {
		ev.maxText = defaultText
	}
	ev.check = ev.left - checkEvery
	ev.now = env.Now
	ev.depth = 0
	ev.focus = nil
	if focus.kind != KindNone {
		ev.first[0] = focus
		ev.focus = ev.first[:1]
	}
	ev.root = frame{this: ev.focus}
	return ev
}

func (ev *evaluation) end() {
	if len(ev.free) > 64 {
		ev.free = ev.free[:64]
	}
	ev.first[0], ev.root, ev.focus = Value{}, frame{}, nil
	ev.expr, ev.ctx, ev.env = nil, nil, nil
	evaluations.Put(ev)
}

// step charges n steps and now and then looks whether the caller still waits.
func (ev *evaluation) step(n int) error {
	ev.left -= n
	if ev.left > ev.check {
		return nil
	}
	return ev.slow()
}

func (ev *evaluation) slow() error {
	if ev.left < 0 {
		return fmt.Errorf("more than %d steps: %w", cmpOr(ev.env.Limits.Steps, defaultSteps), ErrLimit)
	}
	ev.check = ev.left - checkEvery
	return ev.ctx.Err()
}

func cmpOr(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

// get returns an empty scratch collection; put gives it back when its values
// have been used or copied.
func (ev *evaluation) get() []Value {
	if n := len(ev.free); n > 0 {
		s := ev.free[n-1]
		ev.free = ev.free[:n-1]
		return s
	}
	return make([]Value, 0, 8)
}

func (ev *evaluation) put(s []Value) {
	if n := cap(s); n > 0 && n <= maxScratch {
		clear(s) // nothing of a document may stay alive in the pool
		ev.free = append(ev.free, s[:0])
	}
}

// maxScratch is the capacity of the scratch collections that are kept.
const maxScratch = 4096

// nested returns a frame for the items of a loop; leave gives it back.
func (ev *evaluation) nested(f *frame) *frame {
	var g *frame
	if n := len(ev.frames); n > 0 {
		g = ev.frames[n-1]
		ev.frames = ev.frames[:n-1]
	} else {
		g = new(frame)
	}
	*g = *f
	return g
}

func (ev *evaluation) leave(g *frame) {
	*g = frame{}
	ev.frames = append(ev.frames, g)
}

// time returns the time of the evaluation, the same at each call.
func (ev *evaluation) time() time.Time {
	if ev.now.IsZero() {
		ev.now = time.Now()
	}
	return ev.now
}

// Eval evaluates the expression on a focus, which is $this and %context at its
// beginning; the zero Value is an empty focus. The result is the caller's. An
// error is a *Error (the expression cannot be applied to these values), the
// context's error, ErrLimit, or an error of the Env's functions.
func (e *Expr) Eval(ctx context.Context, env *Env, focus Value) (Collection, error) {
	return e.Append(ctx, env, focus, nil)
}

// Append is Eval that appends the result to a collection.
func (e *Expr) Append(ctx context.Context, env *Env, focus Value, to Collection) (Collection, error) {
	ev := e.begin(ctx, env, focus)
	defer ev.end()
	return e.code.many(ev, &ev.root, ev.focus, to)
}

// EvalBool evaluates the expression as a condition, as in where(): true if
// it yields true or one item that is not a Boolean, false if it yields false or
// nothing. More than one item is an error.
func (e *Expr) EvalBool(ctx context.Context, env *Env, focus Value) (bool, error) {
	ev := e.begin(ctx, env, focus)
	defer ev.end()
	t, err := e.code.truth(ev, &ev.root, ev.focus)
	return t == yes, err
}

// Holds evaluates the expression as a constraint (ElementDefinition.constraint):
// it is broken only if it yields false. Nothing means that the constraint
// speaks of what is not there, as fullUrl.contains('x').not() without a fullUrl.
func (e *Expr) Holds(ctx context.Context, env *Env, focus Value) (bool, error) {
	ev := e.begin(ctx, env, focus)
	defer ev.end()
	t, err := e.code.truth(ev, &ev.root, ev.focus)
	return t != no, err
}
