package housetest

import (
	"go/ast"
	"reflect"
	"strings"
	"testing"

	"ingle/internal/config"
)

// TestSettingsAreObeyed holds every setting against the wiring in cmd: what nobody there reads has no effect, and a
// setting without effect must be marked as pending, so that it is refused.
func TestSettingsAreObeyed(t *testing.T) {
	t.Parallel()
	read, chains := map[string]bool{}, map[string]bool{}
	for _, f := range readFiles(t) {
		if f.room != "cmd" || f.test || strings.HasSuffix(f.path, "/healthcheck.go") {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				read[s.Sel.Name] = true
				if x, ok := s.X.(*ast.SelectorExpr); ok {
					chains[x.Sel.Name+"."+s.Sel.Name] = true
				}
			}
			return true
		})
	}
	var walk func(t *testing.T, s reflect.Type, name string, pending bool)
	walk = func(t *testing.T, s reflect.Type, name string, pending bool) {
		for i := range s.NumField() {
			f := s.Field(i)
			pending := pending || f.Tag.Get("pending") == "true"
			where := name + f.Tag.Get("key")
			if f.Type.Kind() == reflect.Struct && strings.HasSuffix(f.Type.PkgPath(), "internal/config") {
				walk(t, f.Type, where+".", pending)
				continue
			}
			group := s.Name()
			switch {
			case !pending && !read[f.Name]:
				t.Errorf("%s is read nowhere in cmd: wire it, or give it the tag pending", where)
			case pending && chains[group+"."+f.Name]:
				t.Errorf("%s is read in cmd: take the tag pending away and run go generate ./internal/config", where)
			}
		}
	}
	walk(t, reflect.TypeFor[config.Config](), "", false)
}
