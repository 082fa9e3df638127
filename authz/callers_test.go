package authz

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"ingle/internal/testdata"
)

// systemCallers are the places outside of tests that work as the server itself
// and so see everything, with the reason that they give. Whoever adds one says
// here why no caller's scope would do.
var systemCallers = map[string]string{
	"cmd/ingle/demo.go demo":                    "fills an empty server with sample resources before it answers anybody",
	"cmd/ingle/parameters.go search-parameters": "asks which search parameters are built; that is the same for everybody",
	"cmd/ingle/install.go packages":             "stores the definitions that the operator has configured before it answers anybody",
	"cmd/ingle/parameters.go reindex":           "writes the index rows of every resource anew, under the labels that they have",
	"cmd/ingle/parameters.go extraction":        "has everything indexed anew after a release that extracts otherwise",
	"interaction/op_reindex.go reindex":         "does so for administrators, who get counts alone",
	"cmd/ingle/instance.go consent":             "puts what the Consents of patients withhold under labels that nobody is granted",
	"cmd/ingle/relabel.go relabel":              "moves whole projects; who runs it has the database itself",
	"cmd/ingle/knowledge.go conformance":        "profiles, value sets and search parameters steer validation and search for everybody; no caller sees them by it",
	"cmd/ingle/types.go resource-types":         "asks whether there is any resource of a type whose definition is to go, seen by the caller or not",
	"cmd/ingle/knowledge.go terminology":        "compiles every stored code system and value set; each caller still finds only those it may see",
}

// TestSystemCallers lists who goes beyond every scope.
func TestSystemCallers(t *testing.T) {
	root := testdata.Root()
	if root == "" {
		t.Skip("the project's root is not to be found")
	}
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil // somebody else's build tells of it
		}
		name, _ := filepath.Rel(root, path)
		where := filepath.ToSlash(name)
		reasons := map[ast.Expr]string{} // of the calls with a constant one
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr: // before its own selector
				if len(n.Args) == 1 {
					if lit, ok := n.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
						reasons[n.Fun] = " " + strings.Trim(lit.Value, `"`)
					}
				}
			case *ast.SelectorExpr:
				if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "authz" && n.Sel.Name == "System" {
					found[where+reasons[n]] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for f := range found {
		if systemCallers[f] == "" {
			t.Errorf("%q uses authz.System and is not in the list (a caller with a reason that is no constant is named by its file alone)", f)
		}
	}
	for f := range systemCallers {
		if !found[f] {
			t.Errorf("%q is in the list and uses authz.System no more", f)
		}
	}
}
