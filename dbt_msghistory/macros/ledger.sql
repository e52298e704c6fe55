{#-
    The ranges of send time that were read since `model` was last built, as a list of [stream, account, from, to].

    The ledger lists them. Overlapping and adjacent windows of a stream are merged. They are literals in the model's
    query, so that a database can skip the partitions of other days. Bounds are 2 ms wider than the windows, because
    vendors differ in whether the bounds of a request are inclusive.
-#}
{%- macro unprocessed_ranges(model) -%}
    {%- set lookback_ms = (3600000 * var('msghistory_ledger_lookback_hours')) | int -%}
    {%- set windows -%}
        select
            windows.stream,
            windows.account,
            {{ msghistory.plus_milliseconds('windows.window_from', -2) }} as from_time,
            {{ msghistory.plus_milliseconds('windows.window_to', 2) }} as to_time
        from {{ ref('int_msghistory__seen_windows') }} as windows
        cross join (select max(built_at) as built_at from {{ model }}) as last_build
        where not windows.is_refused and (
            last_build.built_at is null
            or windows.seen_at > {{ msghistory.plus_milliseconds('last_build.built_at', -lookback_ms) }}
        )
        order by windows.stream, windows.account, windows.window_from
    {%- endset -%}
    {%- set ranges = [] -%}
    {%- for stream, account, start, end in run_query(windows).rows -%}
        {%- set last = ranges[-1] if ranges else none -%}
        {%- if last and last[0] == stream and last[1] == account and start <= last[3] -%}
            {%- do ranges.append([stream, account, ranges.pop()[2], [last[3], end] | max]) -%}
        {%- else -%}
            {%- do ranges.append([stream, account, start, end]) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(ranges) }}
{%- endmacro -%}

{%- macro time_literal(time) -%}
    cast('{{ time.strftime("%Y-%m-%d %H:%M:%S.%f") }}' as {{ dbt.type_timestamp() }})
{%- endmacro -%}
