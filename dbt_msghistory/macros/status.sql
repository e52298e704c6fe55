{#-
    Add the canonical status of a vendor's status to the rows of the relation `messages`, as status and is_final.

    A missing status, and one that the seed message_statuses does not list, is unknown.
-#}
{%- macro with_status(messages, vendor) -%}
    select
        messages.*,
        coalesce(statuses.status, 'unknown') as status,
        coalesce(statuses.is_final, false) as is_final
    from {{ messages }} as messages
    left join {{ ref('message_statuses') }} as statuses
        on statuses.vendor = '{{ vendor }}' and statuses.vendor_status = upper(messages.vendor_status)
{%- endmacro -%}
