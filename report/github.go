package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// GitHub writes workflow commands that GitHub shows as annotations: an error
// for each leak that fails and each finding, a warning for each other leak and for
// what puts the answer in doubt, and a notice for what limits it. What is tolerated is
// only counted.
func GitHub(w io.Writer, d *Document, o Options) error {
	d = d.relative(o)
	b := bufio.NewWriter(w)
	for a := range alerts(d) {
		if a.site != nil && known(a.site) {
			continue
		}
		level, title := "warning", ""
		if a.failure {
			level = "error"
		}
		switch {
		case a.site == nil:
			title = strings.Replace(a.rule, "/", ": ", 1)
		case a.site.Verdict == leak.Confirmed:
			title = "heap leak confirmed"
		default:
			title = "heap leak suspected"
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
