{#-
    Select the columns of a stream from the table that a target has loaded.

    `columns` is a list of [name in the tap's schema, type, name in the model]; type is text, integer, number, decimal,
    boolean or time. Targets write the name "messageId" as messageId, messageid or message_id: names are compared
    in lower case and without underscores. A column that the table lacks is null, and a table that does not exist,
    because its vendor is not configured, has no rows.
-#}
{%- macro loaded_stream(stream, columns) -%}
    {%- set table = source('msghistory', stream) -%}
    {%- set is_known = execute and var('msghistory_introspect') -%}
    {%- set loaded = load_relation(table) if is_known else table -%}
    {%- set found = {} -%}
    {%- if is_known and loaded -%}
        {%- for column in adapter.get_columns_in_relation(loaded) -%}
            {%- do found.update({column.name | lower | replace('_', ''): column}) -%}
        {%- endfor -%}
    {%- endif -%}
    select
    {%- for name, type, alias in columns %}
        {%- set column = found.get(name | lower) -%}
        {%- if column -%}
            {%- set value = msghistory.cast_column(adapter.quote(column.name), type, column.dtype) -%}
        {%- elif is_known -%}
            {%- set value = "cast(null as " ~ msghistory.database_type(type) ~ ")" -%}
        {%- else -%}
            {%- set value = msghistory.cast_column(adapter.quote(name), type, 'timestamp') -%}
        {%- endif %}
        {{ value }} as {{ alias }}{{ "," if not loop.last }}
    {%- endfor %}
    {%- if loaded %}
    from {{ loaded }}
    {%- else %}
    limit 0
    {%- endif -%}
{%- endmacro -%}

{%- macro cast_column(column, type, loaded_type) -%}
    {%- if type == 'time' -%}
        {{ msghistory.utc_time(column, loaded_type) }}
    {%- elif type == 'text' -%}
        {{ msghistory.as_text(column, loaded_type) }}
    {%- else -%}
        cast({{ column }} as {{ msghistory.database_type(type) }})
    {%- endif -%}
{%- endmacro -%}

{%- macro database_type(type) -%}
    {{ return({
        'text': dbt.type_string(),
        'integer': dbt.type_bigint(),
        'number': dbt.type_float(),
        'decimal': dbt.type_numeric(),
        'boolean': dbt.type_boolean(),
        'time': dbt.type_timestamp(),
    }[type]) }}
{%- endmacro -%}
