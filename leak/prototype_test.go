package leak

import "math"

// The rules that this package started from, for comparison on the same
// devices: maturity at the first age after which at most 2% of the nodes die,
// a Poisson test of the deaths of mature nodes, and fixed thresholds.

type prototypeFinding struct {
	ok bool
	p  float64
}

func prototypeRules(m *matrix) prototypeFinding {
	n := m.n
	alive := make([][]float64, n)
	for j := range alive {
		alive[j] = make([]float64, n)
	}
	for i := range m.rows {
		for k := range m.rows[i].alive {
			alive[m.rows[i].born][m.rows[i].born+k] = float64(m.rows[i].alive[k])
		}
	}
	age, limit := 0, max(1, n/4)
	for a := 1; a <= limit && age == 0; a++ {
		var now, next float64
		for j := 1; j+a+1 < n; j++ {
			now += alive[j][j+a]
			next += alive[j][j+a+1]
		}
		if now >= 1 && next >= .98*now {
			age = a
		}
	}
	if age == 0 {
		age = limit
	}
	from := 1
	if n >= 8 {
		from += n / 8
	}
	count := n - age - from
	if count < 2 {
		return prototypeFinding{p: 1}
	}
	left, mature := make([]float64, count), make([]float64, count)
	var total, born, deaths, exposure, base, top float64
	occupied := 0
	for i := range left {
		j := from + i
		left[i], mature[i] = alive[j][n-1], alive[j][j+age]
		total += left[i]
		born += mature[i]
		deaths += mature[i] - left[i]
		top = max(top, left[i])
		if left[i] > 0 {
			occupied++
		}
		for k := j + age; k < n-1; k++ {
			exposure += alive[j][k]
		}
	}
	for j := range from {
		base += alive[j][min(from+age, n-1)] - alive[j][n-1]
	}
	if total < 2 {
		return prototypeFinding{p: 1}
	}
	f := prototypeFinding{true, poissonTail(deaths, 1.5*exposure/float64(n))}
	residue := residual(alive, left, from, age)
	if born-deaths-base < .5*born {
		f.ok = residue
		f.p = math.Pow(.5, float64(occupied))
	}
	if count < 3 {
		return f
	}
	var leftThird, matureThird [3]float64
	for i := range left {
		leftThird[i*3/count] += left[i]
		matureThird[i*3/count] += mature[i]
	}
	early, late := leftThird[0]+leftThird[1]/2, leftThird[2]+leftThird[1]/2
	spread := prototypeSpread(left)
	switch {
	case matureThird[0] >= 5 && leftThird[0] < .3*matureThird[0] && deaths > 0 && !residue,
		top > .6*total && occupied < count/2+1 || n >= 8 && occupied < 3,
		leftThird[2] == 0 || count >= 9 && leftThird[1] == 0,
		late < .4*(early+late) && (count < 6 || binomialTail(early/spread, (early+late)/spread, .5) < .1),
		matureThird[0] > 0 && leftThird[2] < .3*leftThird[0]:
		f.ok = false
	}
	return f
}

// residual reports whether old cohorts keep a part that no longer shrinks.
func residual(alive [][]float64, left []float64, from, age int) bool {
	if len(left) < 6 {
		return false
	}
	n, old := len(alive), len(left)*2/3
	since := n - len(left)/3
	occupied, half := 0, 0
	var before, after float64
	for i := range old {
		if left[i] > 0 {
			occupied++
			if i < old/2 {
				half++
			}
		}
		if j := from + i; i < old/2 && j+age <= since {
			before += alive[j][since]
			after += alive[j][n-1]
		}
	}
	return float64(occupied) >= .4*float64(old) && half > 1 && before > 0 && after >= .95*before
}

func prototypeSpread(x []float64) float64 {
	var above, below float64
	for i := 1; i+1 < len(x); i++ {
		d := x[i] - (x[i-1]+x[i+1])/2
		above += d * d / 1.5
		below += (x[i-1] + x[i] + x[i+1]) / 3
	}
	if len(x) < 4 || below == 0 {
		return 1
	}
	return max(1, above/below)
}
