package kconfig

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// unpack writes the files of an archive, and the same with the line ends of
// Windows beside it. It returns the directories with a Kconfig in them.
func unpack(t *testing.T, archive string) (dirs []string) {
	t.Helper()
	a, err := txtar.ParseFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"\n", "\r\n"} {
		root := t.TempDir()
		for _, f := range a.Files {
			path := filepath.Join(root, filepath.FromSlash(f.Name))
			dir, name := filepath.Split(path)
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			write(t, dir, name, strings.ReplaceAll(string(f.Data), "\n", end))
			if strings.Count(f.Name, "/") < 2 && name == "Kconfig" && !slices.Contains(dirs, filepath.Clean(dir)) {
				dirs = append(dirs, filepath.Clean(dir))
			}
		}
	}
	return dirs
}

// TestCorners compares menus with the odd corners of the language in them with
// Kconfiglib.
func TestCorners(t *testing.T) {
	dirs := unpack(t, "testdata/corners.txtar")
	if refused := compare(t, dirs); refused > 0 || len(dirs) < 80 {
		t.Errorf("Kconfiglib refuses %d of %d", refused, len(dirs))
	}
}

// TestLiteOS does the same with a menu of several files as LiteOS writes them, a
// device's configuration, and random ones.
func TestLiteOS(t *testing.T) {
	dirs := unpack(t, "testdata/liteos.txtar")
	dirs = slices.DeleteFunc(dirs, func(d string) bool { return !strings.Contains(read(d, "Kconfig"), "mainmenu") })
	if refused := compare(t, dirs); refused > 0 || len(dirs) != 2 {
		t.Fatalf("Kconfiglib refuses %d of %d", refused, len(dirs))
	}
	tree, err := Parse(os.DirFS(dirs[0]), "Kconfig")
	if err != nil {
		t.Fatal(err)
	}
	var random []string
	for i := range 40 {
		g := &generator{r: rand.New(rand.NewPCG(3, uint64(i))), types: map[string]Type{}}
		for _, s := range tree.Symbols {
			g.names = append(g.names, s.Name)
			g.types[s.Name] = s.Type()
		}
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(dirs[0])); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "in.config", g.assignments())
		random = append(random, dir)
	}
	compare(t, random)
}
