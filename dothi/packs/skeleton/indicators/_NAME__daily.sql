---
title:
  vi: Mực nước cao nhất ngày
  en: Highest level of the day
words:
  vi: Giá trị lớn nhất trong ngày của các số đo hợp lệ tại trạm.
  en: The largest valid value of a day at a station.
source: Văn bản hoặc nguồn số liệu làm căn cứ
inputs:
  _NAME_: [level]
key: [station]
period: {grain: day, zone: Asia/Ho_Chi_Minh}
freshness: P2D
# Which way the figure should move: higher, lower, or none where neither is good in itself.
better: none
outputs:
  highest:
    title: {vi: Mực nước cao nhất, en: Highest level}
    unit: m
    decimals: 2
---
SELECT station, day AS time, max(value) AS highest
FROM _NAME_
WHERE parameter = 'level' AND usable
GROUP BY station, day
