package report

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// plot is a line chart.
type plot struct {
	title  string
	x, y   axis
	series []series
}

// axis goes from the least to the most of its values; a linear one begins at 0.
type axis struct {
	name  string
	log   bool
	ticks []tick // none: they are chosen
}

type tick struct {
	at   float64
	text string
}

type series struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// The page's measures, in the units of the view box.
const (
	width, height = 580, 340
	left, right   = 56, 150
	top, bottom   = 36, 44
)

// colours can be told apart by those who see no red or no green, too.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

func (p *plot) svg() string {
	x := newScale(p.x, p.values(func(q point) float64 { return q.x }), left, width-right)
	y := newScale(p.y, p.values(func(q point) float64 { return q.y }), height-bottom, top)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, html.EscapeString(p.title))
	fmt.Fprintf(&b, `<text class="title" x="%d" y="20">%s</text>`, left, html.EscapeString(p.title))
	for _, t := range x.ticks {
		at := x.place(t.at)
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/>`, at, at, top, height-bottom)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, at, height-bottom+16, html.EscapeString(t.text))
	}
	for _, t := range y.ticks {
		at := y.place(t.at)
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, width-right, at, at)
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`, left-6, at+4, html.EscapeString(t.text))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`, (left+width-right)/2, height-8, html.EscapeString(p.x.name))
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-6, top-8, html.EscapeString(p.y.name))
	for i, s := range p.series {
		colour := colours[i%len(colours)]
		var line []string
		for _, q := range s.points {
			line = append(line, fmt.Sprintf("%.1f,%.1f", x.place(q.x), y.place(q.y)))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`, colour, strings.Join(line, " "))
		for _, at := range line {
			cx, cy, _ := strings.Cut(at, ",")
			fmt.Fprintf(&b, `<circle cx="%s" cy="%s" r="2.5" fill="%s"/>`, cx, cy, colour)
		}
		at := top + 12 + 18*i
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="%s" stroke-width="2"/>`, width-right+10, width-right+28, at-4, at-4, colour)
		fmt.Fprintf(&b, `<text x="%d" y="%d">%s</text>`, width-right+34, at, html.EscapeString(s.name))
	}
	b.WriteString(`</svg>`)
	return b.String()
}

func (p *plot) values(of func(point) float64) (all []float64) {
	for _, s := range p.series {
		for _, q := range s.points {
			all = append(all, of(q))
		}
	}
	for _, t := range p.x.ticks {
		if v := of(point{x: t.at, y: math.NaN()}); !math.IsNaN(v) {
			all = append(all, v)
		}
	}
	return all
}

// scale puts values on a line of the page.
type scale struct {
	low, high float64 // as logarithms on a logarithmic axis
	from, to  float64
	log       bool
	ticks     []tick
}

func newScale(a axis, values []float64, from, to float64) *scale {
	s := &scale{from: from, to: to, log: a.log, ticks: a.ticks}
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !a.log || v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	if math.IsInf(low, 0) {
		low, high = 1, 10 // nothing to show
	}
	if !a.log {
		s.low, s.high = min(0, low), max(high*1.05, 1e-9)
		if s.ticks == nil {
			s.ticks = linearTicks(s.low, s.high)
		}
		return s
	}
	if a.ticks == nil { // whole decades
		low, high = math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high)))
		for v := low; v <= high*1.01; v *= 10 {
			s.ticks = append(s.ticks, tick{v, fmt.Sprintf("%g", float64(float32(v)))})
		}
	}
	s.low, s.high = math.Log(low), math.Log(high)
	return s
}

// linearTicks are about five round numbers.
func linearTicks(low, high float64) (list []tick) {
	step := math.Pow(10, math.Floor(math.Log10((high-low)/5)))
	for _, factor := range []float64{2, 5, 10} {
		if (high-low)/step > 6 {
			step *= factor / (map[float64]float64{2: 1, 5: 2, 10: 5})[factor]
		}
	}
	for i := math.Ceil(low / step); i*step <= high; i++ {
		list = append(list, tick{i * step, fmt.Sprintf("%g", float64(float32(i*step)))})
	}
	return list
}

func (s *scale) place(v float64) float64 {
	if s.log {
		v = math.Log(max(v, math.SmallestNonzeroFloat64))
	}
	if s.high == s.low {
		return (s.from + s.to) / 2
	}
	share := (v - s.low) / (s.high - s.low)
	return s.from + max(0, min(share, 1))*(s.to-s.from)
}
