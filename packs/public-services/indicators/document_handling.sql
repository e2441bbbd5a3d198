---
title:
  vi: Xử lý văn bản điện tử
  en: Handling of official documents
words:
  vi: >-
    Trong tháng: văn bản đến xử lý đúng hạn chia cho văn bản đến phải xử lý xong; văn bản đi có chữ ký
    số của người có thẩm quyền và của cơ quan, văn bản đi hoàn toàn điện tử, chia cho văn bản đi đã phát hành.
  en: >-
    In a month: incoming documents handled on time, divided by those that were due; issued documents
    with the digital signatures of the authorised person and of the agency, and those issued on paper
    nowhere, divided by all that were issued.
source: Nghị định 30/2020/NĐ-CP; Quyết định 28/2018/QĐ-TTg
inputs:
  official_documents: [incoming_due, done_on_time, outgoing, signed, electronic_only]
key: [agency]
period: {grain: month, zone: Asia/Ho_Chi_Minh}
freshness: P45D
better: higher
outputs:
  on_time_pct:
    title: {vi: Tỷ lệ văn bản đến xử lý đúng hạn, en: Incoming handled on time}
    unit: "%"
    decimals: 1
    over_units: {mean: incoming_due}
  signed_pct:
    title: {vi: Tỷ lệ văn bản đi ký số đầy đủ, en: Issued with both digital signatures}
    unit: "%"
    decimals: 1
    over_units: {mean: outgoing}
  electronic_only_pct:
    title: {vi: Tỷ lệ văn bản đi hoàn toàn điện tử, en: Issued on paper nowhere}
    unit: "%"
    decimals: 1
    over_units: {mean: outgoing}
  incoming_due:
    title: {vi: Văn bản đến phải xử lý xong trong kỳ, en: Incoming due in the period}
    unit: "1"
    decimals: 0
    over_units: sum
    better: none
  outgoing:
    title: {vi: Văn bản đi đã phát hành, en: Issued}
    unit: "1"
    decimals: 0
    over_units: sum
    better: none
verify:
  vi: >-
    Cách tính ba tỷ lệ theo hiểu biết chung về hai văn bản nêu trên, chưa đối chiếu với bản gốc.
  en: >-
    How the three shares are counted is as the two documents are commonly read; not yet checked
    against the originals.
---
SELECT agency, month AS time,
       CASE WHEN incoming_due > 0 AND done_on_time <= incoming_due
            THEN 100 * done_on_time / incoming_due END AS on_time_pct,
       CASE WHEN outgoing > 0 AND signed <= outgoing THEN 100 * signed / outgoing END AS signed_pct,
       CASE WHEN outgoing > 0 AND electronic_only <= outgoing
            THEN 100 * electronic_only / outgoing END AS electronic_only_pct,
       incoming_due, outgoing
FROM (
  SELECT agency, month,
         max(CASE WHEN parameter = 'incoming_due' THEN value END) AS incoming_due,
         max(CASE WHEN parameter = 'done_on_time' THEN value END) AS done_on_time,
         max(CASE WHEN parameter = 'outgoing' THEN value END) AS outgoing,
         max(CASE WHEN parameter = 'signed' THEN value END) AS signed,
         max(CASE WHEN parameter = 'electronic_only' THEN value END) AS electronic_only
  FROM official_documents
  WHERE usable
  GROUP BY agency, month
)
