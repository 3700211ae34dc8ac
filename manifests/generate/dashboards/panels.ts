import {
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
} from '@grafana/grafana-foundation-sdk/common'
import {
  type DataTransformerConfig,
  type DynamicConfigValue,
  MappingType,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type ValueMapping,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimelineBuilder } from '@grafana/grafana-foundation-sdk/statetimeline'
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as SeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries'

/** Chosen at the top of each dashboard. */
export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' }

export interface Query {
  expr: string
  legend?: string
}

/** What all panels have in common. `width` in 24ths of the page, `height` in rows of 30 pixels. */
export interface PanelOptions {
  title: string
  /** What it shows and when to worry, in one or two sentences. */
  description: string
  queries: readonly Query[]
  width: number
  height?: number
  /** A unit of Grafana: `s`, `percentunit`, `reqps` … */
  unit?: string
  mappings?: ValueMapping[]
  /** Colour from this value on; the first colour is that of everything below. */
  thresholds?: readonly [base: string, ...steps: readonly { from: number; color: string }[]]
  /** Shown instead of "No data", in the first colour of `thresholds`. */
  noValue?: string
  decimals?: number
}

type State = 'good' | 'warning' | 'bad' | 'neutral' | 'nothing'
export const COLORS: Readonly<Record<State, string>> = {
  good: 'green',
  warning: 'orange',
  bad: 'red',
  neutral: 'blue',
  nothing: 'transparent',
}

/** Words instead of numbers; `ranges` for everything from a number on. */
export function words(
  values: Readonly<Record<number, readonly [text: string, state: State]>>,
  from?: { value: number; text: string; state: State },
): ValueMapping[] {
  const options = Object.fromEntries(
    Object.entries(values).map(([value, [text, state]], index) => [value, { text, color: COLORS[state], index }]),
  )
  const mapped: ValueMapping[] = [{ type: MappingType.ValueToText, options }]
  if (from) {
    const result = { text: from.text, color: COLORS[from.state], index: Object.keys(options).length }
    mapped.push({ type: MappingType.RangeToText, options: { from: from.value, to: null, result } })
  }
  return mapped
}

interface Common<Panel> {
  title(text: string): Panel
  description(text: string): Panel
  datasource(reference: typeof DATASOURCE): Panel
  span(width: number): Panel
  height(rows: number): Panel
  unit(unit: string): Panel
  mappings(mappings: ValueMapping[]): Panel
  thresholds(config: ThresholdsConfigBuilder): Panel
  noValue(text: string): Panel
  decimals(digits: number): Panel
}

function describe<Panel extends Common<Panel>>(panel: Panel, options: PanelOptions, height: number): Panel {
  panel
    .title(options.title)
    .description(options.description)
    .datasource(DATASOURCE)
    .span(options.width)
    .height(options.height ?? height)
  if (options.unit !== undefined) panel.unit(options.unit)
  if (options.mappings) panel.mappings(options.mappings)
  if (options.noValue !== undefined) panel.noValue(options.noValue)
  if (options.decimals !== undefined) panel.decimals(options.decimals)
  const [base, ...steps] = options.thresholds ?? ['green']
  const thresholds = [{ value: null, color: base }, ...steps.map(({ from, color }) => ({ value: from, color }))]
  return panel.thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(thresholds))
}

function query({ expr, legend }: Query, index: number): DataqueryBuilder {
  const built = new DataqueryBuilder().expr(expr).refId(String.fromCharCode(65 + index))
  return legend === undefined ? built : built.legendFormat(legend)
}

export interface StatOptions extends PanelOptions {
  /** Show the series' name (`name`), its value, or both. */
  text: 'name' | 'value' | 'both'
}

const TEXT_MODES = {
  name: BigValueTextMode.Name,
  value: BigValueTextMode.Value,
  both: BigValueTextMode.ValueAndName,
}

/** The newest value of each series in large letters, coloured all over. */
export function stat(options: StatOptions): StatBuilder {
  return describe(new StatBuilder(), options, 4)
    .targets(options.queries.map((each, index) => query(each, index).instant()))
    .textMode(TEXT_MODES[options.text])
    .colorMode(BigValueColorMode.Background)
    .graphMode(BigValueGraphMode.None)
    .orientation(VizOrientation.Auto)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']))
}

/** One coloured line per series: which state it was in, when. A gap is a time in which nobody knew. */
export function timeline(options: PanelOptions): TimelineBuilder {
  return describe(new TimelineBuilder(), options, 6)
    .targets(options.queries.map((each, index) => query(each, index).range()))
    .mergeValues(true)
    .showValue(VisibilityMode.Auto)
    .rowHeight(0.8)
    .lineWidth(0)
    .legend(new VizLegendOptionsBuilder().showLegend(false))
}

export interface SeriesOptions extends PanelOptions {
  stacked?: boolean
}

/** Values over time, with a legend that tells the last and the greatest ones. */
export function series(options: SeriesOptions): SeriesBuilder {
  const panel = describe(new SeriesBuilder(), options, 7)
    .targets(options.queries.map((each, index) => query(each, index).range()))
    .drawStyle(GraphDrawStyle.Line)
    .fillOpacity(options.stacked === true ? 30 : 5)
    .axisSoftMin(0)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .calcs(['lastNotNull', 'max']),
    )
  return options.stacked === true ? panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal)) : panel
}

export interface TableOptions extends PanelOptions {
  transformations: DataTransformerConfig[]
  columns: Readonly<Record<string, DynamicConfigValue[]>>
}

/** The present values, one line per set of labels. */
export function table(options: TableOptions): TableBuilder {
  const panel = describe(new TableBuilder(), options, 9)
    .targets(
      options.queries.map((each, index) => query(each, index).instant().format(PromQueryFormat.Table).legendFormat('')),
    )
    .transformations(options.transformations)
    .filterable(true)
  for (const [name, properties] of Object.entries(options.columns)) panel.overrideByName(name, properties)
  return panel
}
