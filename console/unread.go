package console

import (
	"bytes"
	"fmt"

	"github.com/heapwright/heapwright/internal/plain"
)

// maxWalks bounds the walks over a whole heap that are remembered.
const maxWalks = 5

// unreadReports are texts of reports about a damaged heap that are recognised
// and not read: they never become findings. Sources: NuttX's mm/kasan, Zephyr's
// lib/heap/heap.c, ESP-IDF's components/heap/tlsf.
var unreadReports = []struct{ text, what string }{
	{"kasan detected a ", "NuttX's address sanitizer reports a wrong access"},
	{"corrupted heap bounds", "Zephyr reports a damaged heap"},
	{"unexpected heap state", "Zephyr reports a free of memory that is not used"},
	{"tlsf.c:", "ESP-IDF's allocator stopped at a contradiction"},
}

// unread is what a log says about the state of the heap that nobody examines.
type unread struct {
	reports [4]sighting // by unreadReports
	dumps   sighting    // lines of hexadecimal dumps outside reports
}

// A sighting is a kind of line: where the first one is, and how many there are.
type sighting struct{ line, count int }

func (s *sighting) see(number int) {
	if s.count++; s.count == 1 {
		s.line = number
	}
}

// report takes in a line that systemTexts matched.
func (u *unread) report(line []byte, number int) {
	for i, k := range unreadReports {
		if bytes.Contains(line, []byte(k.text)) {
			u.reports[i].see(number)
		}
	}
}

// isDump reports whether a line shows memory in hexadecimal: an address, a
// colon, and at least four words of the same length.
func isDump(line []byte) bool {
	i := skipSpace(line, 0)
	if bytes.HasPrefix(line[i:], []byte("0x")) {
		i += 2
	}
	if n := hexDigits(line[i:]); n < 4 || n > 16 {
		return false
	} else {
		i = skipSpace(line, i+n)
	}
	if i == len(line) || line[i] != ':' {
		return false
	}
	width := 0
	for words := 1; ; words++ {
		i = skipSpace(line, i+1)
		n := hexDigits(line[i:])
		if n < 2 || n > 16 || n%2 != 0 || width != 0 && n != width {
			return false
		}
		if i += n; words == 4 {
			return true
		}
		if width = n; i == len(line) || !isSpace(line[i]) {
			return false
		}
	}
}

// hexDigits counts the hexadecimal digits that b begins with.
func hexDigits(b []byte) int {
	for i, c := range b {
		if hexDigit[c] > 15 {
			return i
		}
	}
	return len(b)
}

// DamageNotes returns what is to be known about damage besides Findings: walks
// over a whole heap that found nothing, reports that are not understood, and
// memory that the log shows and nobody examined. Each is one line that begins
// with the log's name and a line number. They are complete when the log is over.
func (r *Reader) DamageNotes() []string {
	var notes []string
	say := func(line int, format string, args ...any) {
		notes = append(notes, fmt.Sprintf("%s:%d: ", r.name, line)+fmt.Sprintf(format, args...))
	}
	more := func(n int) string {
		if n == 1 {
			return ""
		}
		return fmt.Sprintf(" (and %d more)", n-1)
	}
	for i, s := range r.unread.reports {
		if s.count > 0 {
			say(s.line, "%s%s: such reports are not read, look at the line yourself", unreadReports[i].what, more(s.count))
		}
	}
	for _, w := range r.reports.walks {
		if w.whole {
			say(w.line, "the device walked %s (LOS_MemBadNodeShow) and found every checksum right: no header was damaged then; it does not look at backups and call stacks", plain.Plural(w.nodes, "node"))
		} else {
			say(w.line, "the device walked its nodes (LOS_MemBadNodeShow), but the log lacks part of the list: %s with right checksums are left", plain.Plural(w.nodes, "node"))
		}
	}
	if n := r.reports.moreWalks; n > 0 {
		notes = append(notes, fmt.Sprintf("%s: %s of LOS_MemBadNodeShow without a bad node", r.name, plain.Plural(n, "further list")))
	}
	if d := r.unread.dumps; d.count > 0 {
		say(d.line, "memory is shown in hexadecimal, in %s in all; it was not examined and may show damage that no report names", plain.Plural(d.count, "line"))
	}
	return notes
}
