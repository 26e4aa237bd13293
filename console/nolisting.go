package console

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/heapwright/heapwright/internal/plain"
)

// NoListingError says that a log holds nothing to work with.
type NoListingError struct {
	Name   string // of the log
	Lines  int    // read
	Kind   string // FileELF and so on if the log does not look like text; else empty
	Noise  int    // percent of the log that are no text
	Strays int    // rows of listings whose header the log lacks
	// Findings counts what the device reported itself about a damaged heap,
	// which Reader.Findings yields.
	Findings int
}

// Error says what was looked for, in several lines where that was not found.
func (e *NoListingError) Error() string {
	if e.Kind == FileBinary {
		return fmt.Sprintf("%s: no heap listing: this is %s: %d%% of it is no text", e.Name, e.Kind, e.Noise)
	}
	if e.Kind != "" {
		return fmt.Sprintf("%s: no heap listing: this is %s, not the text a console prints", e.Name, e.Kind)
	}
	if e.Lines == 0 {
		return e.Name + ": no heap listing: the log is empty"
	}
	s := fmt.Sprintf("%s: no heap listing in %s", e.Name, plain.Plural(e.Lines, "line"))
	if e.Findings > 0 {
		s += fmt.Sprintf(", but %s of a damaged heap or a wild pointer", plain.Plural(e.Findings, "report"))
	}
	if e.Strays > 0 {
		s += fmt.Sprintf(", but %s without a header: the start of the listing is missing", plain.Plural(e.Strays, "row"))
	}
	if e.Findings > 0 || e.Strays > 0 {
		return s
	}
	return s + "; it would begin with one of\n" + samples()
}

// samples lists the headers of all dialects, a line each.
func samples() string {
	var headers []string
	names := map[string]string{}
	for _, d := range dialects {
		if names[d.sample] == "" {
			headers = append(headers, d.sample)
			names[d.sample] = d.name
		} else {
			names[d.sample] += ", " + d.name
		}
	}
	width := 0
	for _, h := range headers {
		width = max(width, len(h))
	}
	for i, h := range headers {
		headers[i] = fmt.Sprintf("  %-*s  %s", width, h, names[h])
	}
	return strings.Join(headers, "\n")
}

// What a log can turn out to be: values of NoListingError.Kind.
const (
	FileELF    = "an ELF file"
	FileGzip   = "a gzip file"
	FileUTF16  = "UTF-16 text"
	FileBinary = "a binary file, or a console captured at the wrong baud rate"
)

// fileKind says what a file that begins with head is, or returns "" if nothing
// tells.
func fileKind(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		return FileELF
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return FileGzip
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return FileUTF16
	}
	return ""
}

// kind says what the log is, or returns "" if it looks like text.
func (r *Reader) kind() string {
	if kind := fileKind(r.head); kind != "" || !r.noise.most() {
		return kind
	}
	return FileBinary
}
