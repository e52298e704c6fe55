{{ msghistory.staged_partner_gateway('partner_gateway_history_whatsapp') }}
