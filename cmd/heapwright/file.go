package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// replaceFile writes a file beside path and renames it to path, if write
// succeeds. A file that is there keeps its mode, a new one has what the umask
// leaves, and a symbolic link stays one. What is not a regular file, a device
// for example, is written directly.
func replaceFile(path string, write func(io.Writer) error) error {
	path, err := follow(path)
	if err != nil {
		return err
	}
	mode, exists := fs.FileMode(0o666), false
	if f, ok := descriptor(path); ok {
		return write(f)
	} else if st, err := os.Stat(path); err == nil {
		if st.IsDir() {
			return fmt.Errorf("%s is a directory: give the name of a file", path)
		}
		if !st.Mode().IsRegular() || proc(path) {
			return writeTo(path, write)
		}
		mode, exists = st.Mode().Perm(), true
	}
	f, err := pending.create(path, mode)
	if err != nil {
		var own *fs.PathError
		if errors.As(err, &own) { // which names a file beside it
			err = own.Err
		}
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := fill(f, write); err != nil {
		pending.remove(f)
		return err
	}
	if exists { // the umask does not count
		if err := f.Chmod(mode); err != nil && runtime.GOOS != "windows" {
			pending.remove(f)
			return err
		}
	}
	return pending.rename(f, path)
}

// fill writes to f through a buffer.
func fill(f io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriter(f)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

// writeTo writes behind what is there.
func writeTo(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// follow returns the name of what symbolic links lead to, which need not
// exist. It stops at names of open files: what they lead to may be in use by
// other programs too, and must not be replaced.
func follow(path string) (string, error) {
	for range 40 { // as Linux does
		if _, ok := descriptor(path); ok || proc(path) {
			return path, nil
		}
		link, err := os.Readlink(path)
		if err != nil {
			return path, nil // not a link
		}
		if !filepath.IsAbs(link) {
			dir, _ := filepath.Split(path)
			link = dir + link // not cleaned: dir may be a link, and hold ".."
		}
		path = link
	}
	return "", fmt.Errorf("%s: too many symbolic links", path)
}

// proc reports whether a name lies where Linux shows the open files of
// processes.
func proc(path string) bool {
	return runtime.GOOS == "linux" && strings.HasPrefix(filepath.Clean(path), "/proc/")
}

// descriptor returns the open file of this process that a name such as
// /dev/stdout or /dev/fd/3 means. Linux opens the file anew under such a name,
// at its start; other systems, and shells, mean what is open.
func descriptor(path string) (f *os.File, ok bool) {
	if runtime.GOOS == "windows" || path == "" {
		return nil, false
	}
	path = filepath.Clean(path)
	switch path {
	case "/dev/stdout":
		return os.Stdout, true
	case "/dev/stderr":
		return os.Stderr, true
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		name, found := strings.CutPrefix(path, dir)
		n, err := strconv.ParseUint(name, 10, 16)
		switch {
		case !found || err != nil:
		case n == 1:
			return os.Stdout, true
		case n == 2:
			return os.Stderr, true
		default:
			return os.NewFile(uintptr(n), path), true
		}
	}
	return nil, false
}

// pending are the files that are being written beside those that they will
// replace.
var pending temporary

// temporary are files that are removed unless they are renamed. It may be used
// from several goroutines.
type temporary struct {
	mu   sync.Mutex
	open map[*os.File]bool
}

// create creates a file beside path, for rename. The umask limits its mode.
func (t *temporary) create(path string, mode fs.FileMode) (*os.File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	dir, base := filepath.Split(path)
	for try := 0; ; try++ {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%08x", base, rand.Uint32()))
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode|0o200)
		if errors.Is(err, fs.ErrExist) && try < 100 {
			continue
		}
		if err != nil {
			return nil, err
		}
		if t.open == nil {
			t.open = map[*os.File]bool{}
		}
		t.open[f] = true
		return f, nil
	}
}

// rename closes a file and gives it its name.
func (t *temporary) rename(f *os.File, path string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, f)
	err := f.Close()
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// remove removes a file.
func (t *temporary) remove(f *os.File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, f)
	f.Close()
	os.Remove(f.Name())
}

// abandon removes all files, and lets nobody create or rename another: the
// process is about to end while somebody still writes.
func (t *temporary) abandon() {
	t.mu.Lock() // for good
	for f := range t.open {
		f.Close()
		os.Remove(f.Name())
	}
}
