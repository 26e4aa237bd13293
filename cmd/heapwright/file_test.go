package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func hello(w io.Writer) error {
	_, err := io.WriteString(w, "hello\n")
	return err
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, want %q (%v)", path, got, want, err)
	}
}

// onlyFiles fails unless the directory holds just the files named.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestReplaceFileKeepsMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no such modes")
	}
	path := filepath.Join(t.TempDir(), "out")
	// 0o666 is more than any usual umask leaves, 0o600 less.
	for _, mode := range []fs.FileMode{0o600, 0o666} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, mode), replaceFile(path, hello)); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil || st.Mode() != mode {
			t.Errorf("mode %v becomes %v (%v)", mode, st.Mode(), err)
		}
		holds(t, path, "hello\n")
	}
}

func TestReplaceFileFailing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	err := replaceFile(path, func(w io.Writer) error { return errors.Join(hello(w), failed) })
	if !errors.Is(err, failed) {
		t.Error(err)
	}
	holds(t, path, "old")
	onlyFiles(t, dir, "out")
	if err := replaceFile(dir, hello); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Error(err)
	}
}

// full is a device without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// What is left in the buffer is not lost in silence.
func TestFillFlushes(t *testing.T) {
	if err := fill(full{}, hello); !errors.Is(err, io.ErrShortWrite) {
		t.Error(err)
	}
	var b strings.Builder
	if err := fill(&b, hello); err != nil || b.String() != "hello\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestReplaceFileFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	link("second", "a/first")
	link("../b/real", "a/second") // leads to nothing yet
	for _, text := range []string{"hello\n", "again\n"} {
		err := replaceFile(filepath.Join(dir, "a", "first"), func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		holds(t, filepath.Join(dir, "b", "real"), text)
	}
	if to, err := os.Readlink(filepath.Join(dir, "a", "second")); err != nil || to != "../b/real" {
		t.Errorf("the link leads to %q: %v", to, err)
	}
	onlyFiles(t, filepath.Join(dir, "a"), "first", "second")
	onlyFiles(t, filepath.Join(dir, "b"), "real")
	link("circle", "circle")
	if err := replaceFile(filepath.Join(dir, "circle"), hello); err == nil || !strings.Contains(err.Error(), "too many symbolic links") {
		t.Error(err)
	}
}

func TestDescriptor(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no such names")
	}
	for path, want := range map[string]*os.File{
		"/dev/stdout": os.Stdout, "/dev//stdout": os.Stdout, "/dev/fd/1": os.Stdout, "/proc/self/fd/1": os.Stdout,
		"/dev/stderr": os.Stderr, "/dev/fd/2": os.Stderr,
		"": nil, "-": nil, "stdout": nil, "/dev/null": nil, "/dev/fd/": nil, "/dev/fd/x": nil, "/dev/fd/-1": nil, "/dev/fd/99999999": nil,
	} {
		if got, ok := descriptor(path); got != want || ok != (want != nil) {
			t.Errorf("%q is %v, %v", path, got, ok)
		}
	}
}

// Nothing is left of files that somebody still writes when the process ends.
func TestAbandon(t *testing.T) {
	dir := t.TempDir()
	var files temporary
	f, err := files.create(filepath.Join(dir, "out"), 0o666)
	if err != nil {
		t.Fatal(err)
	}
	g, err := files.create(filepath.Join(dir, "out"), 0o666)
	if err != nil {
		t.Fatal(err)
	}
	if err := files.rename(g, filepath.Join(dir, "done")); err != nil {
		t.Fatal(err)
	}
	files.abandon()
	onlyFiles(t, dir, "done")
	if err := hello(f); err == nil {
		t.Error("the abandoned file is still open")
	}
}
