package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/heapwright/heapwright/report"
)

// output is where and how a verb writes its document.
type output struct {
	format string
	file   string
	top    int
	topSet bool
}

func (o *output) flags(cmd *cobra.Command, top string) {
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "text", "`FORMAT` of the output: text or json")
	f.StringVarP(&o.file, "output", "o", "", "write to `FILE`, which is replaced only when complete")
	if top != "" {
		f.IntVar(&o.top, "top", 0, "show `N` "+top+", 0: all (default: a screenful)")
	}
}

// check validates the flags before anything is read, and that what is read
// survives.
func (o *output) check(cmd *cobra.Command, in *input, logs []string) error {
	if o.format != "text" && o.format != "json" {
		return usageError(cmd, fmt.Errorf("--format is text or json, not %q", o.format))
	}
	if o.topSet = cmd.Flags().Changed("top"); o.topSet && o.top < 0 {
		return usageError(cmd, fmt.Errorf("--top is a number of call sites, 0 for all, not %d", o.top))
	}
	if cmd.Flags().Changed("output") && o.file == "" {
		return usageError(cmd, errors.New("-o needs the name of a file"))
	}
	st, err := os.Stat(o.file)
	if o.file == "-" || err != nil || !st.Mode().IsRegular() {
		return nil
	}
	for _, path := range append([]string{in.symbols}, logs...) {
		if given, err := stat(cmd, path); err == nil && os.SameFile(st, given) {
			return usageError(cmd, fmt.Errorf("-o %s would overwrite the input %s: give another name", o.file, named(path)))
		}
	}
	if st.Mode().Perm()&0o200 == 0 {
		return fmt.Errorf("%s is write-protected: give -o another name", o.file)
	}
	return nil
}

func (o *output) json() bool { return o.format == "json" }

// toFile reports whether the document is written to a file of its own.
func (o *output) toFile() bool { return o.file != "" && o.file != "-" }

// write calls document with where to write, and makes the output file appear
// only if it succeeds.
func (o *output) write(cmd *cobra.Command, document func(io.Writer, report.Options) error) error {
	options := report.Options{Top: -1, TopHint: "--top 0 shows all"}
	if o.topSet {
		options.Top = o.top
	}
	if o.file == "" || o.file == "-" {
		out := cmd.OutOrStdout()
		options.Width, options.Color = terminal(out)
		return document(out, options)
	}
	return replaceFile(o.file, func(w io.Writer) error { return document(w, options) })
}

// terminal returns the width that text should fit into, 0 if it does not
// matter, and whether colours are welcome.
func terminal(w io.Writer) (width int, color bool) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		width, _, _ = term.GetSize(int(f.Fd()))
		color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if runtime.GOOS == "windows" && os.Getenv("WT_SESSION") == "" {
			color = false // the old console shows the escape sequences
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		width = n
	}
	return width, color
}

// replaceFile writes a file beside path and renames it to path. What is not a
// regular file, a device for example, is written directly.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	mode := fs.FileMode(0o644)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if st, err := os.Stat(path); err == nil {
		if st.IsDir() {
			return fmt.Errorf("%s is a directory: give -o the name of a file", path)
		}
		if !st.Mode().IsRegular() {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			return write(f)
		}
		mode = st.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	b := bufio.NewWriter(f)
	if err := write(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil && runtime.GOOS != "windows" {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
