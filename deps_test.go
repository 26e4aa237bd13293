package heapwright

import (
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The memory manager goes into other people's programs: it brings nothing with
// it but what it needs to reach the operating system.
func TestRootImports(t *testing.T) {
	allowed := []string{
		packagePath + "/heap",      // the vocabulary
		packagePath + "/internal/", // its own parts
		"golang.org/x/sys/",        // system calls
	}
	for _, dir := range []string{".", "heap", "internal/node", "internal/bestfit", "internal/callers", "internal/osmem", "internal/survey"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), dir+"/"+e.Name(), nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				path, _ := strconv.Unquote(i.Path.Value)
				ok := !strings.Contains(path, ".") // the standard library
				for _, a := range allowed {
					ok = ok || path == strings.TrimSuffix(a, "/") || strings.HasPrefix(path, a) && strings.HasSuffix(a, "/")
				}
				if path == packagePath+"/internal/demo" {
					ok = false
				}
				if !ok {
					t.Errorf("%s/%s imports %s", dir, e.Name(), path)
				}
			}
		}
	}
}
