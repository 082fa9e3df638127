package housetest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	root   = "../.."
	module = "ingle/"
)

// below lists, for each room, the rooms that its production code may import. An import only ever points from the
// door (cmd) towards the model (fhir):
//
//	cmd → server → interaction → bulk, subscription, terminology, profiles → store → authz, search → fhirpath → fhir
var below = func() map[string][]string {
	layers := [][]string{
		{"cmd"},
		{"server"},
		{"interaction"},
		{"bulk", "subscription", "terminology", "profiles"},
		{"store"},
		{"authz", "search"},
		{"fhirpath"},
		{"fhir"},
	}
	m := map[string][]string{}
	for i, layer := range layers {
		for _, room := range layer {
			for _, lower := range layers[i+1:] {
				m[room] = append(m[room], lower...)
			}
		}
	}
	m["cmd"] = append(m["cmd"], "migrations", "web")
	m["server"] = append(m["server"], "web") // the console's files
	m["store"] = append(m["store"], "migrations")
	m["migrations"] = nil
	m["web"] = nil
	m["deploy"] = nil
	return m
}()

// internals lists who may import a package under internal/, by room or by path.
var internals = map[string][]string{
	"internal/cache":    {"authz", "store", "terminology"},
	"internal/config":   {"cmd", "internal/config/reference"},
	"internal/demo":     {"cmd", "internal/bench"},
	"internal/export":   {"cmd"},
	"internal/load":     {"cmd", "internal/bench"},
	"internal/bench":    {"cmd"},
	"internal/outbound": {"authz", "terminology", "subscription", "bulk", "cmd"},
	"internal/postgres": {"cmd", "internal/bench", "internal/pgtest"},
	"internal/pgtest":   {}, // packages for tests only, see isForTests
	"internal/testdata": {},
}

// owners lists who may import what only a few should know.
var owners = []struct {
	prefix string
	rooms  []string
}{
	{"github.com/labstack/echo", []string{"cmd", "server"}},
	{"github.com/jackc/pgx", []string{"cmd", "store", "migrations", "internal/postgres", "internal/pgtest", "internal/bench"}},
	{"github.com/golang-migrate/migrate", []string{"migrations"}},
	{"database/sql", nil},
	{"github.com/maypok86/otter", []string{"internal/cache"}},
	{"ingle/internal/config", []string{"cmd", "internal/config/reference"}},
}

// file is one Go file of the project.
type file struct {
	path string // "store/read.go"
	dir  string // "store"
	room string // "store"; "internal/config" for packages under internal
	test bool
	ast  *ast.File
	set  *token.FileSet
}

// imports are the paths that the file imports.
func (f file) imports() []string {
	var list []string
	for _, i := range f.ast.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		list = append(list, path)
	}
	return list
}

// isForTests tells packages such as store/storetest and internal/pgtest, which only tests import.
func isForTests(dir string) bool {
	return strings.HasSuffix(dir, "test") || dir == "internal/testdata" || dir == "internal/noninterference"
}

// roomOf is the room of a folder or an import path without the module.
func roomOf(dir string) string {
	parts := strings.Split(dir, "/")
	if parts[0] == "internal" && len(parts) > 1 {
		return strings.Join(parts[:2], "/")
	}
	return parts[0]
}

func readFiles(t *testing.T) []file {
	t.Helper()
	files, err := project()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d Go files found; the test looks in the wrong place", len(files))
	}
	return files
}

// project reads all Go files, once.
var project = sync.OnceValues(func() ([]file, error) {
	var files []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" && roomOf(rel(path)) != "internal/testdata" ||
				name == "node_modules" || rel(path) == "data" || rel(path) == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(rel(path)))
		files = append(files, file{
			path: rel(path), dir: dir, room: roomOf(dir), test: strings.HasSuffix(name, "_test.go"), ast: parsed, set: set,
		})
		return nil
	})
	return files, err
})

func rel(path string) string {
	r, err := filepath.Rel(root, path)
	if err != nil {
		return path
	}
	return filepath.ToSlash(r)
}

// faults returns what is wrong with the imports of one file.
func faults(f file) []string {
	var list []string
	// Tests and generators may look at everything.
	free := f.test || isForTests(f.dir) || f.ast.Name.Name == "main" && f.room != "cmd"
	for _, path := range f.imports() {
		for _, o := range owners {
			if !free && (path == o.prefix || strings.HasPrefix(path, o.prefix+"/")) && !slices.Contains(o.rooms, f.room) && !slices.Contains(o.rooms, f.dir) {
				list = append(list, fmt.Sprintf("%s imports %s; only %s may", f.path, path, strings.Join(o.rooms, ", ")))
			}
		}
		to, ours := strings.CutPrefix(path, module)
		if !ours || free {
			continue
		}
		room := roomOf(to)
		switch users, internal := internals[room]; {
		case room == f.room:
		case isForTests(to):
			list = append(list, fmt.Sprintf("%s imports %s, which is for tests", f.path, path))
		case internal && !slices.Contains(users, f.room) && !slices.Contains(users, f.dir):
			list = append(list, fmt.Sprintf("%s imports %s; only %s may", f.path, path, strings.Join(users, ", ")))
		case !internal && strings.HasPrefix(room, "internal/"):
			list = append(list, fmt.Sprintf("%s imports %s, of which this test does not know who may", f.path, path))
		case !internal && !strings.HasPrefix(f.room, "internal/"):
			lower, known := below[f.room]
			if !known {
				list = append(list, fmt.Sprintf("%s is in a room that this test does not know", f.path))
			} else if !slices.Contains(lower, room) {
				list = append(list, fmt.Sprintf("%s imports %s; %s may import only %s", f.path, path, f.room, strings.Join(lower, ", ")))
			}
		}
	}
	return list
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	for _, f := range readFiles(t) {
		for _, fault := range faults(f) {
			t.Error(fault)
		}
	}
}

// The rules are worth something only if they can fail.
func TestTheRulesBite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, imports string
		want          bool // a fault
	}{
		{"store/a.go", "ingle/server", true},
		{"store/a.go", "ingle/interaction", true},
		{"store/a.go", "ingle/search", false},
		{"store/a.go", "ingle/migrations", false},
		{"search/a.go", "ingle/store", true},
		{"search/a.go", "ingle/authz", true},
		{"search/a.go", "ingle/fhir/ucum", false},
		{"fhir/a.go", "ingle/fhirpath", true},
		{"fhir/r4/a.go", "ingle/fhir", false},
		{"profiles/a.go", "ingle/terminology", true},
		{"interaction/a.go", "github.com/labstack/echo/v4", true},
		{"server/a.go", "github.com/labstack/echo/v4", false},
		{"server/a.go", "github.com/labstack/echo/v4/middleware", false},
		{"search/a.go", "github.com/jackc/pgx/v5", true},
		{"search/a.go", "github.com/jackc/pgx/v5/pgxpool", true},
		{"search/a_test.go", "github.com/jackc/pgx/v5", false},
		{"store/a.go", "github.com/jackc/pgx/v5/pgxpool", false},
		{"store/a.go", "database/sql", true},
		{"store/a.go", "ingle/internal/config", true},
		{"store/a.go", "ingle/internal/pgtest", true},
		{"store/a.go", "ingle/internal/elsewhere", true},
		{"store/a_test.go", "ingle/internal/pgtest", false},
		{"store/storetest/a.go", "ingle/internal/pgtest", false},
		{"server/a.go", "ingle/store/storetest", true},
		{"cmd/ingle/a.go", "ingle/internal/config", false},
		{"internal/pgtest/a.go", "ingle/internal/postgres", false},
		{"attic/a.go", "ingle/fhir", true},
	} {
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, c.path, "package a\nimport _ "+strconv.Quote(c.imports), parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.ToSlash(filepath.Dir(c.path))
		f := file{path: c.path, dir: dir, room: roomOf(dir), test: strings.HasSuffix(c.path, "_test.go"), ast: parsed, set: set}
		if got := faults(f); (len(got) > 0) != c.want {
			t.Errorf("%s importing %s: %q", c.path, c.imports, got)
		}
	}
}

// TestOnlyServerAnswersHTTP looks for the types of a handler; other rooms may be HTTP clients or name status codes.
// internal/bench has the limit of the machine to measure against, a handler without FHIR.
func TestOnlyServerAnswersHTTP(t *testing.T) {
	t.Parallel()
	for _, f := range readFiles(t) {
		if f.test || isForTests(f.dir) || f.room == "server" || f.room == "cmd" || f.room == "web" || f.room == "internal/bench" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "http" &&
				slices.Contains([]string{"ResponseWriter", "Handler", "HandlerFunc", "ServeMux", "ListenAndServe", "Server"}, s.Sel.Name) {
				t.Errorf("%s uses http.%s; only server knows how requests come and answers go", f.set.Position(s.Pos()), s.Sel.Name)
			}
			return true
		})
	}
}

// Names that say nothing collect everything.
func TestPackageNames(t *testing.T) {
	t.Parallel()
	for _, f := range readFiles(t) {
		switch name := strings.TrimSuffix(f.ast.Name.Name, "_test"); name {
		case "util", "utils", "common", "helper", "helpers", "manager", "models", "misc", "shared", "types":
			t.Errorf("%s: package %s has a name that says nothing", f.path, name)
		}
	}
}

// TestPackagesAreIntroduced looks for the paragraph with which every package opens.
func TestPackagesAreIntroduced(t *testing.T) {
	t.Parallel()
	introduced := map[string]bool{}
	for _, f := range readFiles(t) {
		if f.test {
			continue
		}
		introduced[f.dir] = introduced[f.dir] || f.ast.Doc != nil && len(f.ast.Doc.Text()) > 20
	}
	for dir, ok := range introduced {
		if !ok {
			t.Errorf("package %s has no introduction", dir)
		}
	}
}
