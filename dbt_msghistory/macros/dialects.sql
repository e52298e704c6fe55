{#- Expressions that differ between databases. All times are UTC. -#}

{%- macro seconds_between(start, end) -%}
    {{ return(adapter.dispatch('seconds_between', 'msghistory')(start, end)) }}
{%- endmacro -%}

{%- macro default__seconds_between(start, end) -%}
    cast(extract(epoch from ({{ end }} - {{ start }})) as {{ dbt.type_float() }})
{%- endmacro -%}

{%- macro duckdb__seconds_between(start, end) -%}
    ((epoch_us({{ end }}) - epoch_us({{ start }})) / 1e6)
{%- endmacro -%}

{%- macro snowflake__seconds_between(start, end) -%}
    (datediff('millisecond', {{ start }}, {{ end }}) / 1000.0)
{%- endmacro -%}

{%- macro bigquery__seconds_between(start, end) -%}
    (timestamp_diff({{ end }}, {{ start }}, millisecond) / 1000)
{%- endmacro -%}


{#- A time plus a number of milliseconds, which may be negative. -#}
{%- macro plus_milliseconds(time, number) -%}
    {{ return(adapter.dispatch('plus_milliseconds', 'msghistory')(time, number)) }}
{%- endmacro -%}

{%- macro default__plus_milliseconds(time, number) -%}
    ({{ time }} + interval '1 millisecond' * ({{ number }}))
{%- endmacro -%}

{%- macro duckdb__plus_milliseconds(time, number) -%}
    ({{ time }} + to_microseconds({{ number * 1000 }}))
{%- endmacro -%}

{%- macro snowflake__plus_milliseconds(time, number) -%}
    dateadd('millisecond', {{ number }}, {{ time }})
{%- endmacro -%}

{%- macro bigquery__plus_milliseconds(time, number) -%}
    timestamp_add({{ time }}, interval {{ number }} millisecond)
{%- endmacro -%}


{#- The quantile (0 to 1) of a column in a group. BigQuery computes an approximation. -#}
{%- macro quantile(column, fraction) -%}
    {{ return(adapter.dispatch('quantile', 'msghistory')(column, fraction)) }}
{%- endmacro -%}

{%- macro default__quantile(column, fraction) -%}
    percentile_cont({{ fraction }}) within group (order by {{ column }})
{%- endmacro -%}

{%- macro bigquery__quantile(column, fraction) -%}
    approx_quantiles({{ column }}, 100)[safe_offset({{ (fraction * 100) | int }})]
{%- endmacro -%}


{#- The SHA-256 hash of a text, in hexadecimal digits. -#}
{%- macro sha256(text) -%}
    {{ return(adapter.dispatch('sha256', 'msghistory')(text)) }}
{%- endmacro -%}

{%- macro default__sha256(text) -%}
    sha256({{ text }})
{%- endmacro -%}

{%- macro postgres__sha256(text) -%}
    encode(sha256(convert_to({{ text }}, 'UTF8')), 'hex')
{%- endmacro -%}

{%- macro snowflake__sha256(text) -%}
    sha2({{ text }}, 256)
{%- endmacro -%}

{%- macro bigquery__sha256(text) -%}
    to_hex(sha256({{ text }}))
{%- endmacro -%}


{#- A member of a JSON object as text. The column may be JSON or text that contains JSON. -#}
{%- macro json_member(column, name) -%}
    {{ return(adapter.dispatch('json_member', 'msghistory')(column, name)) }}
{%- endmacro -%}

{%- macro default__json_member(column, name) -%}
    (cast({{ column }} as jsonb) ->> '{{ name }}')
{%- endmacro -%}

{%- macro duckdb__json_member(column, name) -%}
    json_extract_string({{ column }}, '$.{{ name }}')
{%- endmacro -%}

{%- macro snowflake__json_member(column, name) -%}
    get(parse_json({{ column }}), '{{ name }}')::varchar
{%- endmacro -%}

{%- macro bigquery__json_member(column, name) -%}
    json_value({{ column }}, '$.{{ name }}')
{%- endmacro -%}


{#- A column of a loaded table as text. Objects become JSON. `type` is the column's type in the database. -#}
{%- macro as_text(column, type) -%}
    {{ return(adapter.dispatch('as_text', 'msghistory')(column, type | lower)) }}
{%- endmacro -%}

{%- macro default__as_text(column, type) -%}
    cast({{ column }} as {{ dbt.type_string() }})
{%- endmacro -%}

{%- macro duckdb__as_text(column, type) -%}
    {{ 'cast(to_json(' ~ column ~ ') as varchar)' if type.startswith('struct') else 'cast(' ~ column ~ ' as varchar)' }}
{%- endmacro -%}

{%- macro snowflake__as_text(column, type) -%}
    {{ 'to_json(' ~ column ~ ')' if type in ('variant', 'object') else 'cast(' ~ column ~ ' as varchar)' }}
{%- endmacro -%}

{%- macro bigquery__as_text(column, type) -%}
    {{ 'to_json_string(' ~ column ~ ')' if type.startswith(('json', 'struct', 'record')) else 'cast(' ~ column ~ ' as string)' }}
{%- endmacro -%}


{#- A text literal. -#}
{%- macro text_literal(text) -%}
    '{{ dbt.escape_single_quotes(text | replace("\\", "\\\\") if target.type in ("bigquery", "snowflake") else text) }}'
{%- endmacro -%}


{#- A column of a loaded table as a UTC time without an offset. `type` is the column's type in the database. -#}
{%- macro utc_time(column, type) -%}
    {{ return(adapter.dispatch('utc_time', 'msghistory')(column, type | lower)) }}
{%- endmacro -%}

{%- macro default__utc_time(column, type) -%}
    {%- if type in ('timestamptz', 'timestamp with time zone') -%}
        ({{ column }} at time zone 'UTC')
    {%- elif 'timestamp' in type -%}
        {{ column }}
    {%- else -%}
        (cast({{ column }} as timestamp with time zone) at time zone 'UTC')
    {%- endif -%}
{%- endmacro -%}

{%- macro duckdb__utc_time(column, type) -%}
    {%- if 'with time zone' in type -%}
        make_timestamp(epoch_us({{ column }}))
    {%- else -%}
        cast({{ column }} as timestamp)
    {%- endif -%}
{%- endmacro -%}

{%- macro snowflake__utc_time(column, type) -%}
    {%- if type in ('timestamp_ntz', 'timestamp_ntz(9)') -%}
        {{ column }}
    {%- else -%}
        cast(convert_timezone('UTC', cast({{ column }} as timestamp_tz)) as timestamp_ntz)
    {%- endif -%}
{%- endmacro -%}

{%- macro bigquery__utc_time(column, type) -%}
    cast({{ column }} as timestamp)
{%- endmacro -%}


{#- How an incremental model replaces the rows with the same unique_key. BigQuery cannot delete and insert. -#}
{%- macro replacing_strategy() -%}
    {{ return('merge' if target.type == 'bigquery' else 'delete+insert') }}
{%- endmacro -%}
