package console

import (
	"bytes"
	"time"
)

// A stamp is what a logger, a terminal program or the kernel put in front of a
// line to say when it was printed: one of those that the comment of Reader
// lists, followed by a space or the end of the line. Whatever else a line
// begins with is no stamp. A time without a zone is taken as UTC. One without a year
// gets the year 0, one without a date counts the days from January 1 of it, a
// clock that goes back by more than half a day having passed midnight.
type stamp struct {
	length int // in bytes, the space behind it included; 0: none
	wall   time.Time
	form   stampForm
	tick   uint64 // uptime in units of 1/hz s
	hz     uint64 // 0: no uptime
	log    bool   // the uptime is that of ESP-IDF's log
}

type stampForm uint8

const (
	noWall stampForm = iota
	wholeDate
	dayOfYear
	timeOfDay
)

// readStamp reads the stamp at the beginning of a line.
func readStamp(line []byte) stamp {
	var s stamp
	if len(line) < 8 || !stampStart[line[0]] {
		return s
	}
	s.readWall(line)
	s.readUptime(line)
	s.readLog(line)
	return s
}

// stampStart holds the characters that stamps begin with.
var stampStart = func() (t [256]bool) {
	for _, c := range []byte("0123456789[<JFMASONDEWIV") {
		t[c] = true
	}
	return t
}()

func (s *stamp) readWall(line []byte) {
	i := 0
	bracket := line[0] == '['
	if bracket {
		i++
	}
	wall, form, end := parseWall(line, i)
	if form == noWall {
		return
	}
	if bracket {
		if end >= len(line) || line[end] != ']' {
			return
		}
		end++
	}
	if end < len(line) && line[end] == ':' && form != timeOfDay {
		end++
	}
	if end < len(line) && !isSpace(line[end]) {
		return
	}
	end = skipSpace(line, end)
	if bytes.HasPrefix(line[end:], []byte("-> ")) {
		end += 3
	}
	s.wall, s.form, s.length = wall, form, end
}

// parseWall reads a time at line[i:] and returns the index behind it.
func parseWall(line []byte, i int) (t time.Time, form stampForm, end int) {
	year, month, day := 0, 1, 1
	form = timeOfDay
	switch {
	case i+11 < len(line) && (line[i+4] == '-' || line[i+4] == '/') && line[i+7] == line[i+4]:
		year, month, day = decimal(line[i:i+4]), decimal(line[i+5:i+7]), decimal(line[i+8:i+10])
		if year < 1 || line[i+10] != ' ' && line[i+10] != 'T' {
			return t, noWall, i
		}
		form = wholeDate
		i += 11
	case i+7 < len(line) && line[i+3] == ' ' && line[i+6] == ' ':
		month = monthNumber(line[i : i+3])
		day = decimal(bytes.TrimLeft(line[i+4:i+6], " "))
		form = dayOfYear
		i += 7
	case i+10 < len(line) && line[i+10] == '.':
		return parseEpoch(line, i)
	}
	if i+8 > len(line) || line[i+2] != ':' || line[i+5] != ':' {
		return t, noWall, i
	}
	hour, minute, second := decimal(line[i:i+2]), decimal(line[i+3:i+5]), decimal(line[i+6:i+8])
	if month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 {
		return t, noWall, i
	}
	nanos, i := parseFraction(line, i+8)
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if t.Day() != day && second < 60 {
		return t, noWall, i
	}
	if form == wholeDate {
		var ahead time.Duration
		ahead, i = parseZone(line, i)
		t = t.Add(-ahead)
	}
	return t, form, i
}

// parseEpoch reads seconds since 1970 with a fraction.
func parseEpoch(line []byte, i int) (time.Time, stampForm, int) {
	seconds := decimal(line[i : i+10])
	nanos, end := parseFraction(line, i+10)
	if seconds < 1e9 || end < i+14 {
		return time.Time{}, noWall, i
	}
	return time.Unix(int64(seconds), int64(nanos)).UTC(), wholeDate, end
}

// parseFraction reads up to nine digits behind a point or comma at line[i:] as
// nanoseconds.
func parseFraction(line []byte, i int) (nanos, end int) {
	if i+1 >= len(line) || line[i] != '.' && line[i] != ',' || line[i+1] < '0' || line[i+1] > '9' {
		return 0, i
	}
	unit := int(1e8)
	for i++; i < len(line) && line[i] >= '0' && line[i] <= '9'; i++ {
		nanos += int(line[i]-'0') * unit
		unit /= 10
	}
	return nanos, i
}

// parseZone reads Z, +01:00 or +0100 at line[i:] as the time by which the clock
// is ahead of UTC.
func parseZone(line []byte, i int) (ahead time.Duration, end int) {
	if i >= len(line) || line[i] != 'Z' && line[i] != '+' && line[i] != '-' {
		return 0, i
	}
	if line[i] == 'Z' {
		return 0, i + 1
	}
	sign := time.Duration(1)
	if line[i] == '-' {
		sign = -1
	}
	j := i + 3
	if j < len(line) && line[j] == ':' {
		j++
	}
	if j+2 > len(line) {
		return 0, i
	}
	h, m := decimal(line[i+1:i+3]), decimal(line[j:j+2])
	if h < 0 || m < 0 {
		return 0, i
	}
	return sign * (time.Duration(h)*time.Hour + time.Duration(m)*time.Minute), j + 2
}

// readUptime reads the kernel's uptime behind what readWall has read. Fewer
// than three digits of a second are no clock.
func (s *stamp) readUptime(line []byte) {
	i := s.length
	if i+3 < len(line) && line[i] == '<' && line[i+2] == '>' {
		i += 3
	}
	if i >= len(line) || line[i] != '[' {
		return
	}
	i = skipSpace(line, i+1)
	point := i
	for point < len(line) && point < i+9 && line[point] >= '0' && line[point] <= '9' {
		point++
	}
	if point == i || point >= len(line) || line[point] != '.' {
		return
	}
	end := point + 1
	for end < len(line) && line[end] >= '0' && line[end] <= '9' {
		end++
	}
	if digits := end - point - 1; digits != 3 && digits != 6 || end >= len(line) || line[end] != ']' {
		return
	}
	if end+1 < len(line) && !isSpace(line[end+1]) {
		return
	}
	s.hz = 1000
	if end-point == 7 {
		s.hz = 1e6
	}
	s.tick = uint64(decimal(line[i:point]))*s.hz + uint64(decimal(line[point+1:end]))
	s.length = skipSpace(line, end+1)
}

// readLog reads the prefix of ESP-IDF's log, "I (12345) tag: ", behind what
// readWall has read: a level, milliseconds since boot, a tag. All of it is text
// of the device, so that only the uptime is taken.
func (s *stamp) readLog(line []byte) {
	i := s.length
	if s.hz != 0 || len(line)-i < len("I (0) a:") || line[i+1] != ' ' || line[i+2] != '(' {
		return
	}
	switch line[i] {
	case 'E', 'W', 'I', 'D', 'V':
	default:
		return
	}
	ms, end := parseDec(line, i+3)
	if end == i+3 || !bytes.HasPrefix(line[end:], []byte(") ")) || bytes.IndexByte(line[end:], ':') < 0 {
		return
	}
	s.tick, s.hz, s.log = ms, 1000, true
}

// decimal returns the value of a few decimal digits, -1 if there is anything
// else.
func decimal(b []byte) int {
	v := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		v = v*10 + int(c-'0')
	}
	if len(b) == 0 {
		return -1
	}
	return v
}

func monthNumber(name []byte) int {
	const names = "JanFebMarAprMayJunJulAugSepOctNovDec"
	if i := bytes.Index([]byte(names), name); i >= 0 && i%3 == 0 {
		return i/3 + 1
	}
	return 0
}

// logReach is how many lines in front of a listing's header a line of ESP-IDF's
// log may be to say when the listing was printed: its own lines have no prefix.
const logReach = 2

// A clock follows the stamps of a log.
type clock struct {
	now   stamp     // of the line seen last
	line  int       // its number
	log   stamp     // of ESP-IDF's log line seen last
	logAt int       // its number
	last  time.Time // the time of day seen last, without the days
	days  int       // midnights passed
}

// see takes in a line and returns the length of its stamp.
func (c *clock) see(line []byte, number int) int {
	c.now, c.line = readStamp(line), number
	if c.now.form == timeOfDay {
		if !c.last.IsZero() && c.last.Sub(c.now.wall) > 12*time.Hour {
			c.days++
		}
		c.last = c.now.wall
		c.now.wall = c.now.wall.AddDate(0, 0, c.days)
	}
	if c.now.log {
		c.log, c.logAt = c.now, number
	}
	return c.now.length
}

// inFront returns the time at which a listing was printed whose header is the
// line seen last.
func (c *clock) inFront() stamp {
	s := c.now
	if s.hz == 0 && c.log.hz != 0 && c.line-c.logAt <= logReach {
		s.tick, s.hz = c.log.tick, c.log.hz
	}
	return s
}
