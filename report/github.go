package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/heapwright/heapwright/internal/plain"
)

// GitHub writes workflow commands that GitHub shows as annotations: an error
// for each confirmed leak and each finding, a warning for each suspect and for what
// puts the answer in doubt, and a notice for what limits it. What is tolerated is
// only counted.
func GitHub(w io.Writer, d *Document, o Options) error {
	d = d.relative(o)
	b := bufio.NewWriter(w)
	for a := range alerts(d) {
		if a.site != nil && known(a.site) {
			continue
		}
		level, title := "warning", "heap leak suspected"
		switch {
		case a.site == nil:
			level, title = "error", strings.Replace(a.rule, "/", ": ", 1)
		case a.failure:
			level, title = "error", "heap leak confirmed"
		}
		properties := ""
		if f, ok := a.place(); ok {
			properties = fmt.Sprintf("file=%s,line=%d,", escapeProperty(plain.Clean(f.File)), f.Line)
		}
		message := a.message
		for _, s := range a.stacks {
			message += "\n" + s.name
			for _, f := range s.frames {
				message += "\n  " + plain.Clean(f.String())
			}
		}
		if a.source != "" {
			message += "\nseen at " + plain.Clean(a.source)
		}
		fmt.Fprintf(b, "::%s %stitle=%s::%s\n", level, properties, escapeProperty(title), escapeData(message))
	}
	for _, s := range d.Warnings {
		fmt.Fprintf(b, "::warning title=heapwright::%s\n", escapeData(plain.Clean(s)))
	}
	notes := d.Notes
	if d.Growth != nil {
		fmt.Fprintf(b, "::notice title=heapwright::%s\n", escapeData(verdicts(newView(d.Growth))))
		notes = append(growthNotes(d.Growth), notes...)
	}
	if len(d.Findings) > 0 || d.Growth == nil {
		fmt.Fprintf(b, "::notice title=heapwright::%s\n", escapeData(findingsSummary(d.Findings)))
	}
	for _, n := range notes {
		if n == "" {
			continue
		}
		fmt.Fprintf(b, "::notice title=heapwright::%s\n", escapeData(plain.Clean(n)))
	}
	return b.Flush()
}

var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// escapeData escapes a message as GitHub's runner reads it.
func escapeData(s string) string { return dataEscapes.Replace(s) }

// escapeProperty escapes the value of a property.
func escapeProperty(s string) string { return propertyEscapes.Replace(s) }
