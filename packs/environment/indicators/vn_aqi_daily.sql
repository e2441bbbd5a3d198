---
title:
  vi: VN_AQI ngày
  en: Daily VN_AQI
words:
  vi: >-
    Chỉ số chất lượng không khí Việt Nam của từng ngày tại trạm: lấy số lớn nhất trong các chỉ số
    thành phần. PM2.5 và PM10 dùng trung bình 24 giờ (từ 01:00 đến 00:00 hôm sau); O₃ dùng trung bình
    8 giờ lớn nhất và trung bình 1 giờ lớn nhất; NO₂, SO₂, CO dùng trung bình 1 giờ lớn nhất. Phải
    có PM2.5 hoặc PM10. Mỗi chất cần ít nhất 18 giờ số liệu trong ngày (75 %; Quyết định không quy
    định số giờ, tỉnh cần xác nhận).
  en: >-
    The Vietnamese air quality index of each day at a station: the largest of the pollutants'
    indices. PM2.5 and PM10 enter with the 24-hour mean (01:00 to 00:00 of the next day); O₃ with
    its largest 8-hour and its largest 1-hour mean; NO₂, SO₂ and CO with the largest 1-hour mean.
    PM2.5 or PM10 is required. Each pollutant needs at least 18 hours of the day (75 %; the
    Decision gives no number, the province must confirm it).
source: Quyết định 1459/QĐ-TCMT ngày 12/11/2019, mục 2.3
inputs:
  air_quality: [pm25, pm10, o3, no2, so2, co]
key: [station]
period: {grain: day, zone: Asia/Ho_Chi_Minh}
# The 8-hour mean of 01:00 begins with the hour 18:00 of the day before.
lookback: PT7H
freshness: P2D
better: lower
outputs:
  aqi:
    title: {vi: VN_AQI ngày, en: Daily VN_AQI}
    unit: "1"
    decimals: 0
  dominant:
    title: {vi: Chất có chỉ số lớn nhất, en: Pollutant with the largest index}
    unit: "1"
    decimals: 0
    labels:
      0: {vi: PM2.5, en: PM2.5}
      1: {vi: PM10, en: PM10}
      2: {vi: O₃ 8 giờ, en: O₃ 8 h}
      3: {vi: O₃ 1 giờ, en: O₃ 1 h}
      4: {vi: NO₂, en: NO₂}
      5: {vi: SO₂, en: SO₂}
      6: {vi: CO, en: CO}
---
SELECT station, time, aqi, dominant
FROM vn_aqi_daily((SELECT stream, time, value FROM air_quality WHERE usable))
